import { people } from './company.ts';

// The few pages of the development identity provider. Signing in is choosing who to be: there are no passwords.

/** Who do you want to be: a form that posts `sub` to the same address. */
export function chooserPage(action: string): string {
  const buttons = people.map(
    (person) =>
      `<p><button name="sub" value="${escapeHtml(person.subject)}">${escapeHtml(person.email)}</button></p>`,
  );
  return page(
    'Sign in',
    `<p>Development identity provider: choose who to be.</p>
<form method="post" action="${escapeHtml(action)}">${buttons.join('\n')}</form>`,
  );
}

export function messagePage(title: string, text: string): string {
  return page(title, `<p>${escapeHtml(text)}</p>`);
}

/** `form` is oidc-provider's own markup; `formId` is its id. */
export function deviceCodePage(form: string, formId: string, text: string): string {
  return page(
    'Sign in on a device',
    `<p>${escapeHtml(text)}</p>${form}<p><button type="submit" form="${formId}">Continue</button></p>`,
  );
}

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)} · Writ</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:26em;margin:4em auto;padding:0 1em}button{font:inherit;padding:.5em 1em;width:100%}</style>
</head><body><h1>${escapeHtml(title)}</h1>
${body}
</body></html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
