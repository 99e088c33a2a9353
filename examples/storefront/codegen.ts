import type { CodegenConfig } from '@graphql-codegen/cli'

const config: CodegenConfig = {
  schema: '../../graph/schema/*.graphqls',
  documents: 'src/**/*.{ts,tsx}',
  ignoreNoDocuments: true,
  generates: {
    'src/gql/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: { scalars: { BigInt: 'number', Time: 'string' }, useTypeImports: true, enumsAsTypes: true },
    },
    'src/gql/introspection.ts': {
      plugins: ['urql-introspection'],
      config: { useTypeImports: true, includeScalars: false, includeEnums: false, includeInputs: false, includeDirectives: false },
    },
  },
}
export default config
