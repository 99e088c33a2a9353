import { useEffect, useRef, useState } from 'react'
import { useSubscription } from 'urql'
import { connection } from './client'
import { graphql } from './gql'
import type { StockStatus } from './gql/graphql'

const StockOf = graphql(`
  fragment StockOf on Stock {
    id
    version
    productId
    status
    availableForSale
    quantityAvailable
    nextRestockAt
  }
`)
void StockOf // its name is used by the documents of other files

const Watch = graphql(`
  subscription Watch($ids: [ID!]!) {
    stockChanged(productIds: $ids) {
      ...StockOf
    }
  }
`)

/** Keeps the stock of products on a page live: the normalised cache takes every push. */
export function useLiveStock(ids: string[]) {
  useSubscription({ query: Watch, variables: { ids }, pause: ids.length === 0 })
}

/** Whether the pushes arrive. */
export function useConnection() {
  const [live, setLive] = useState(connection.live)
  useEffect(() => {
    const change = () => setLive(connection.live)
    connection.addEventListener('change', change)
    change()
    return () => connection.removeEventListener('change', change)
  }, [])
  return live
}

export interface ShownStock {
  status: StockStatus
  availableForSale: boolean
  quantityAvailable?: number | null
  nextRestockAt?: string | null
}

/** What a shopper reads about a product's stock. */
export function stockText({ status, availableForSale, quantityAvailable, nextRestockAt }: ShownStock) {
  if (!availableForSale) return 'Sold out'
  if (status === 'BACKORDER') return nextRestockAt ? `On order, expected ${nextRestockAt.slice(0, 10)}` : 'On order'
  if (status === 'LOW_STOCK') return `Only ${quantityAvailable} left`
  return quantityAvailable == null ? 'In stock' : `${quantityAvailable} in stock`
}

export const StockLine = ({ stock }: { stock: ShownStock }) => (
  <span className={`stock ${stock.status.toLowerCase()}`} aria-live="polite">{stockText(stock)}</span>
)

/** Tells once when a product that was sold out can be bought again. */
export function BackInStock({ stock, title }: { stock: ShownStock; title: string }) {
  const [wanted, setWanted] = useState(false)
  const [back, setBack] = useState(false)
  const before = useRef(stock.availableForSale)
  useEffect(() => {
    if (wanted && !before.current && stock.availableForSale) setBack(true)
    before.current = stock.availableForSale
  }, [wanted, stock.availableForSale])
  if (back) return <p role="status" className="back">{title} is back in stock.</p>
  if (stock.availableForSale) return null
  return wanted ? <p>We will tell you here when it is back.</p> : <button onClick={() => setWanted(true)}>Tell me when it is back</button>
}
