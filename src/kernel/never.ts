/** Closes a union: a new case that nobody handles does not compile; one that slips through at run time throws. */
export function never(value: never): never {
  throw new Error(`unhandled case: ${JSON.stringify(value)}`);
}
