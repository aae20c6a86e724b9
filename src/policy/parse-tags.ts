import type { DocumentsUnderway } from './document.ts';
import type { Findings } from './findings.ts';
import { present, readComment, readSecurables } from './parse-names.ts';
import type { Field, YamlValue } from './yaml-reader.ts';

/** `kind: tags`: governed tags, where they are assigned, and which columns must carry one. */
export function readTags(root: YamlValue, into: DocumentsUnderway, _findings: Findings): void {
  const fields = root.fields('tags', {
    kind: 'required',
    tags: 'optional',
    assign: 'optional',
    require: 'optional',
    comment: 'optional',
  });
  if (fields === undefined) return;
  readComment(fields.comment);
  for (const field of fields.tags?.entries('tags') ?? []) readTag(field, into);
  for (const entry of fields.assign?.list('assign') ?? []) readAssign(entry, into);
  for (const entry of fields.require?.list('require') ?? []) readRequire(entry, into);
}

function readTag({ key, value }: Field, into: DocumentsUnderway): void {
  const fields = value.fields(`tag ${key.value}`, { values: 'optional', comment: 'optional' });
  if (fields === undefined) return;
  readComment(fields.comment);
  const values = fields.values
    ?.list('values')
    .map((one) => one.scalarText('values'))
    .filter(present);
  into.tags.push({ name: key, values });
}

function readAssign(entry: YamlValue, into: DocumentsUnderway): void {
  const fields = entry.fields('assign', { on: 'required', tags: 'required', comment: 'optional' });
  if (fields === undefined) return;
  readComment(fields.comment);
  const tags = (fields.tags?.entries('tags') ?? []).map(({ key, value }) => {
    const text = value.scalarText(`tag ${key.value}`);
    return text === undefined ? undefined : { tag: key, value: { value: text, at: value.at } };
  });
  into.assign.push({ on: readSecurables(fields.on), tags: tags.filter(present) });
}

function readRequire(entry: YamlValue, into: DocumentsUnderway): void {
  const fields = entry.fields('require', { columnsLike: 'required', tag: 'required', comment: 'optional' });
  if (fields === undefined) return;
  readComment(fields.comment);
  const tag = fields.tag?.scalarText('tag');
  if (tag === undefined || fields.tag === undefined) return;
  const columnsLike = (fields.columnsLike?.oneOrMany('columnsLike') ?? [])
    .map((one) => one.text('columnsLike'))
    .filter(present);
  into.require.push({ columnsLike, tag: { value: tag, at: fields.tag.at } });
}
