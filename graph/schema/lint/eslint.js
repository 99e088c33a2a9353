// Checks the schema with the rules of graphql-eslint. Prints what breaks one, and ends with 1.
import graphql from '@graphql-eslint/eslint-plugin'
import { ESLint } from 'eslint'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Rules of the recommended, complete and Relay sets that the schema does not follow, and why. */
export const exceptions = {
  alphabetize: 'fields are in the order of their importance',
  'description-style': 'a short description is one line, a long one a block',
  'no-root-type': 'there are mutations and subscriptions',
  'no-typename-prefix': "productId, locationId and channelId are the shop's own ids, beside the global id",
  'require-deprecation-date': 'a deprecated field goes with a major version, not at a date',
  'require-field-of-type-query-in-mutation-result': 'a payload has everything that the mutation changed',
  'require-nullable-result-in-root': 'a page, a payload and an event always exist; faults are top-level errors',
  'strict-id-in-types': 'payloads, errors, pages, edges and inputs are no objects with an identity',
}

/** Names that the federation specification gives. */
const federation = /^(federation__\w+|_entities|_service|_Any|_Entity|_Service)\b/

/** Reports whether a message is about the name of something of the federation specification. */
const isFederations = (source, { ruleId, line, column }) =>
  ruleId === '@graphql-eslint/naming-convention' && federation.test(source.split('\n')[line - 1].slice(column - 1))

export const eslint = () => new ESLint({
  cwd: fileURLToPath(new URL('..', import.meta.url)),
  overrideConfigFile: true,
  overrideConfig: [{
    files: ['*.graphqls'],
    languageOptions: { parser: graphql.parser, parserOptions: { graphQLConfig: { schema: fileURLToPath(new URL('../*.graphqls', import.meta.url)) } } },
    plugins: { '@graphql-eslint': graphql },
    rules: {
      ...graphql.configs['flat/schema-all'].rules,
      ...graphql.configs['flat/schema-recommended'].rules,
      ...graphql.configs['flat/schema-relay'].rules,
      '@graphql-eslint/relay-edge-types': ['error', { listTypeCanWrapOnlyEdgeType: false }], // nodes is a list without edges
      ...Object.fromEntries(Object.keys(exceptions).map((rule) => [`@graphql-eslint/${rule}`, 'off'])),
    },
  }],
})

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const linter = eslint()
  const results = (await linter.lintFiles(['*.graphqls'])).map((result) => {
    const source = readFileSync(result.filePath, 'utf8')
    const messages = result.messages.filter((message) => !isFederations(source, message))
    return { ...result, messages, errorCount: messages.length, warningCount: 0 }
  })
  console.log((await linter.loadFormatter('stylish')).format(results))
  process.exitCode = results.some(({ errorCount }) => errorCount > 0) ? 1 : 0
}
