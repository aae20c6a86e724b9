/** Seconds that credentials live: unless asked otherwise, and at most. `direct` ones go past the gateway. */
export const lifetimeSeconds = {
  default: 3600,
  directDefault: 900,
  most: 12 * 3600,
  directMost: 3600,
} as const;
