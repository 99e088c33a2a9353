// Finds breaking changes of the schema since a release: node diff.js [GIT-REVISION]. Without a
// revision it takes the newest release tag. Ends with 1 when there is one.
import { buildASTSchema, findBreakingChanges, parse } from 'graphql'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = new URL('../', import.meta.url)
const git = (...words) => execFileSync('git', words, { cwd: fileURLToPath(folder), encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })

/** Builds a schema from the text of files that extend Query and others. */
export const schemaOf = (text) => buildASTSchema(merged(parse(text)), { assumeValid: true })

// Extensions of the root types become their definitions.
function merged({ definitions }) {
  const isExtension = ({ kind }) => kind.endsWith('TypeExtension')
  const added = (name) => definitions.filter((one) => isExtension(one) && one.name.value === name).flatMap(({ fields }) => fields)
  return {
    kind: 'Document',
    definitions: definitions.filter((one) => !isExtension(one)).map((one) => (
      one.kind === 'ObjectTypeDefinition' ? { ...one, fields: [...one.fields, ...added(one.name.value)] } : one)),
  }
}

/** The text of the schema's files now. */
export const now = () => readdirSync(folder).filter((name) => name.endsWith('.graphqls')).map((name) => readFileSync(new URL(name, folder), 'utf8')).join('\n')

/** The text of the schema's files at a revision. */
export function at(revision) {
  const names = git('ls-tree', '--name-only', revision, './').split('\n').filter((name) => name.endsWith('.graphqls'))
  if (names.length === 0) throw new Error(`${revision} has no schema`)
  return names.map((name) => git('show', `${revision}:./${name}`)).join('\n')
}

/** What a client of the old schema can no longer do. */
export const breaking = (before, after) => findBreakingChanges(schemaOf(before), schemaOf(after)).map(({ description }) => description)

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const newest = () => git('tag', '--list', 'v*', '--sort=-version:refname').split('\n')[0]
  const revision = process.argv[2] ?? newest()
  if (!revision) {
    console.log('There is no release to compare with.')
  } else {
    const found = breaking(at(revision), now())
    console.log(found.length ? `Breaking changes since ${revision}:\n${found.map((change) => `- ${change}`).join('\n')}` : `No breaking change since ${revision}.`)
    process.exitCode = found.length ? 1 : 0
  }
}
