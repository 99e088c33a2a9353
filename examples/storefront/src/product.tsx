import { useState } from 'react'
import { useQuery } from 'urql'
import type { Cart } from './cart'
import { graphql } from './gql'
import { BackInStock, StockLine, useLiveStock } from './stock'

const Product = graphql(`
  query Product($id: ID!) {
    product(id: $id) {
      id
      productId
      title
      maxPerReservation
      stock {
        ...StockOf
      }
    }
  }
`)

export function ProductPage({ id, cart }: { id: string; cart: Cart }) {
  const [{ data, error }] = useQuery({ query: Product, variables: { id } })
  const [quantity, setQuantity] = useState(1)
  useLiveStock([id])
  const product = data?.product
  if (error && !data) return <p role="alert">The shop cannot be reached. It will try again.</p>
  if (data && !product) return <p>There is no such product.</p>
  if (!product?.stock) return <p>One moment …</p>
  const title = product.title ?? product.productId
  return (
    <article data-product={product.productId}>
      <h1>{title}</h1>
      <StockLine stock={product.stock} />
      <form onSubmit={(event) => { event.preventDefault(); void cart.add(id, quantity) }}>
        <label>
          Units{' '}
          <input type="number" min={1} max={product.maxPerReservation ?? 99} value={quantity} onChange={(event) => setQuantity(Math.max(1, event.target.valueAsNumber || 1))} />
        </label>
        <button disabled={!product.stock.availableForSale || cart.busy}>Put into the cart</button>
      </form>
      <BackInStock stock={product.stock} title={title} />
    </article>
  )
}
