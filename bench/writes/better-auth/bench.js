// Invitations and acceptances a second with better-auth's organization plugin, through its server API in this process.
//
// Environment: PGHOST, PGUSER, PGDATABASE; ORGANIZATIONS, PEOPLE, CLIENTS, SECONDS.  Prints the pairs a second.
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { bearer, organization } from "better-auth/plugins";
import pg from "pg";

const number = (name) => Number(process.env[name]);
const [organizations, people, clients, seconds] = ["ORGANIZATIONS", "PEOPLE", "CLIENTS", "SECONDS"].map(number);

const options = {
  database: new pg.Pool({ max: clients }),
  secret: "a secret of thirty-two characters",
  baseURL: "http://localhost",
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  logger: { disabled: true },
  telemetry: { enabled: false },
  plugins: [
    bearer(),
    organization({
      membershipLimit: 1000000,
      invitationLimit: 1000000,
      sendInvitationEmail: async () => {},
    }),
  ],
};
await (await getMigrations(options)).runMigrations();
const auth = betterAuth(options);
const { internalAdapter } = await auth.$context;

// People sign in before the clock starts.
async function signedIn(kind, n) {
  const user = await internalAdapter.createUser({ email: `${kind}${n}@example.org`, name: `${kind} ${n}`, emailVerified: true });
  const session = await internalAdapter.createSession(user.id);
  return { email: user.email, headers: new Headers({ authorization: `Bearer ${session.token}` }) };
}
async function inTurns(count, make) {
  const made = new Array(count);
  let next = 0;
  await Promise.all(Array.from({ length: clients }, async () => {
    for (let n = next++; n < count; n = next++) made[n] = await make(n);
  }));
  return made;
}
const founded = await inTurns(organizations, async (n) => {
  const admin = await signedIn("admin", n);
  const made = await auth.api.createOrganization({ body: { name: `Organization ${n}`, slug: `organization-${n}` }, headers: admin.headers });
  return { id: made.id, headers: admin.headers };
});
const guests = await inTurns(people, (n) => signedIn("person", n));

let pairs = 0;
let next = 0;
const start = performance.now();
await Promise.all(Array.from({ length: clients }, async () => {
  while (performance.now() - start < seconds * 1000) {
    const n = next++;
    const org = founded[(n * 13 + Math.floor(n / people)) % organizations];
    const guest = guests[n % people];
    const { id } = await auth.api.createInvitation({ body: { email: guest.email, role: "member", organizationId: org.id }, headers: org.headers });
    await auth.api.acceptInvitation({ body: { invitationId: id }, headers: guest.headers });
    pairs++;
  }
}));
console.log((pairs * 1000 / (performance.now() - start)).toFixed(1));
process.exit(0);
