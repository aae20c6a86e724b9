import { lex } from './lex.ts';

/** The text for the record: literals become `?`, comments go. What cannot be told apart goes too. */
export function redactLiterals(text: string): string {
  let out = '';
  for (const token of lex(text)) {
    switch (token.kind) {
      case 'string':
      case 'number':
        out += '?';
        break;
      case 'unsure':
        out += '?…';
        break;
      case 'comment':
        out += ' ';
        break;
      default:
        out += token.text;
    }
  }
  return out.trim();
}
