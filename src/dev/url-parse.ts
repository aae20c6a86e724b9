// oidc-provider calls URL.parse, which Node 20 does not have yet. Imported before it, for this one effect.

interface WithParse {
  parse?: (url: string, base?: string) => URL | null;
}

const urlClass = URL as unknown as WithParse;

urlClass.parse ??= (url, base) => (URL.canParse(url, base) ? new URL(url, base) : null);
