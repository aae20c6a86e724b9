import { z } from 'zod';
import type { Route } from '../../kernel/route.ts';

/** OpenAPI 3.1 of all routes, printed from the same values that serve them. */
export function openApiDocument(routes: readonly Route[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const operations = paths[route.path] ?? {};
    paths[route.path] = operations;
    operations[route.method] = operation(route);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Writ',
      version: '1',
      description: 'One policy, enforced in every engine, for every client.',
    },
    components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
    paths,
  };
}

function operation(route: Route): object {
  const schema = z.toJSONSchema(route.input, { io: 'input', unrepresentable: 'any' }) as InputSchema;
  const open = route.requires.kind === 'nothing';
  return {
    summary: route.summary,
    description: requirement(route),
    ...(open ? {} : { security: [{ bearer: [] }] }),
    ...inputOf(route, schema),
    responses: {
      200: {
        description: 'as asked',
        content: { 'application/json': { schema: z.toJSONSchema(route.output, { unrepresentable: 'any' }) } },
      },
      default: { description: 'error_code, message, detail, hint, sqlstate' },
    },
  };
}

interface InputSchema {
  readonly properties?: Record<string, object>;
  readonly required?: readonly string[];
}

/** Where each part of the input stands: in the path, in the query of a GET, in the body of everything else. */
function inputOf(route: Route, schema: InputSchema): object {
  const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
  const rest = Object.entries(schema.properties ?? {}).filter(([name]) => !inPath.includes(name));
  const parameter =
    (place: string) =>
    ([name, of]: readonly [string, object]) => ({
      name,
      in: place,
      required: place === 'path' || (schema.required ?? []).includes(name),
      schema: of,
    });
  const pathParameters = inPath
    .map((name) => [name, schema.properties?.[name] ?? { type: 'string' }] as const)
    .map(parameter('path'));
  const query = route.method === 'get' ? rest.map(parameter('query')) : [];
  const body =
    route.method === 'get' || rest.length === 0
      ? {}
      : {
          requestBody: {
            content: {
              'application/json': {
                schema: {
                  type: 'object',
                  properties: Object.fromEntries(rest),
                  required: (schema.required ?? []).filter((name) => !inPath.includes(name)),
                },
              },
            },
          },
        };
  return { parameters: [...pathParameters, ...query], ...body };
}

function requirement(route: Route): string {
  switch (route.requires.kind) {
    case 'nothing':
      return 'Open to everybody.';
    case 'signed-in':
      return 'Any signed-in principal; shows what is theirs.';
    case 'decision-client':
      return 'A decision client: the decision token (also as `?token=`), or MANAGE on the metastore.';
    case 'privilege':
      return `Needs ${route.requires.privilege}.`;
  }
}
