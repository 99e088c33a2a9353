import { cacheExchange, type Cache } from '@urql/exchange-graphcache'
import { createClient as createSocket } from 'graphql-ws'
import { Client, fetchExchange, mapExchange, subscriptionExchange } from 'urql'
import introspection from './gql/introspection'
import { keepNewest } from './newest'

const { newest, forget } = keepNewest()

/** Whether the live stock on the page is live; the pages show it. */
export const connection = Object.assign(new EventTarget(), { live: false })
const setLive = (live: boolean) => {
  connection.live = live
  connection.dispatchEvent(new Event('change'))
}

const socket = createSocket({
  url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/graphql`,
  retryAttempts: Infinity,
  shouldRetry: () => true,
  keepAlive: 10_000,
  lazyCloseTimeout: 3_000,
  on: {
    connected: (_socket, _payload, wasRetry) => {
      if (wasRetry) forget() // everything is sent again; a restored database has lower versions
      setLive(true)
    },
    closed: () => setLive(false),
  },
})

// Types without an id stay inside the object that has them.
const keys = Object.fromEntries(
  introspection.__schema.types
    .filter((type) => type.kind === 'OBJECT' && !('fields' in type && type.fields.some(({ name }) => name === 'id')))
    .map(({ name }) => [name, () => null]),
)

// A reservation changes the stock of its products. The subscription pushes it; pages that do
// not watch the product read it again.
const forgetStock = (_result: unknown, _arguments: unknown, cache: Cache) => cache.invalidate('Query', 'stocks')

export const client = new Client({
  url: '/graphql',
  preferGetMethod: false,
  exchanges: [
    cacheExchange({
      schema: introspection,
      keys,
      updates: { Mutation: { reserveStock: forgetStock, updateReservation: forgetStock, releaseReservation: forgetStock } },
    }),
    mapExchange({ onResult: (result) => ({ ...result, data: newest(result.data) }) }),
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: ({ query, variables, extensions }) => ({
        subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query: query ?? '', variables, extensions }, sink) }),
      }),
    }),
  ],
})
