// The people of the sample company. Who may do what stands in policies/; here is only who can sign in.

export interface Person {
  readonly email: string;
  readonly name: string;
  /** The identity provider's subject: stable, and deliberately not the e-mail. */
  readonly subject: string;
}

export const people: readonly Person[] = [
  { email: 'ana@acme.test', name: 'Ana', subject: 'acme-1001' },
  { email: 'omar@acme.test', name: 'Omar', subject: 'acme-1002' },
  { email: 'sam@acme.test', name: 'Sam', subject: 'acme-1003' },
  { email: 'pat@acme.test', name: 'Pat', subject: 'acme-1004' },
  { email: 'carla@acme.test', name: 'Carla', subject: 'acme-1005' },
  { email: 'nina@acme.test', name: 'Nina', subject: 'acme-1006' },
];

/** Service principals: their subject is their client id. */
export const servicePrincipals: readonly string[] = ['etl'];

export function personBySubject(subject: string): Person | undefined {
  return people.find((person) => person.subject === subject);
}

export function personByEmail(email: string): Person | undefined {
  return people.find((person) => person.email === email.trim().toLowerCase());
}

/** Who a token may be signed for without a browser. */
export interface Directory {
  person(email: string): Person | undefined;
  isService(name: string): boolean;
  /** For the message to whoever names somebody else. */
  readonly names: readonly string[];
}

export const companyDirectory: Directory = {
  person: personByEmail,
  isService: (name) => servicePrincipals.includes(name),
  names: [...people.map(({ email }) => email), ...servicePrincipals],
};

/** Whoever is named exists: people by their e-mail, anything else is a service principal. */
export const everybody: Directory = {
  person: (email) => (email.includes('@') ? { email, name: email, subject: `person:${email}` } : undefined),
  isService: () => true,
  names: [],
};
