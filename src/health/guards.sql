-- Last of all, and of each update: what health_check() finds missing or changed later.
INSERT INTO orgusers.guards (kind, name, definition) SELECT g.kind, g.name, g.definition FROM orgusers.present_guards() g;
