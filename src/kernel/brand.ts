declare const brand: unique symbol;

/** A value that only its parser can make: `SecurableName` is a string at run time and a type of its own before. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };
