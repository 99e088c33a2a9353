import { useQuery } from 'urql'
import { graphql } from './gql'
import { StockLine, useLiveStock } from './stock'

const List = graphql(`
  query List($after: String) {
    products(first: 24, after: $after, orderBy: TITLE) {
      nodes {
        id
        productId
        title
        stock {
          ...StockOf
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`)

export function ListPage({ after }: { after?: string }) {
  const [{ data, error, fetching }] = useQuery({ query: List, variables: { after } })
  const products = data?.products?.nodes ?? []
  useLiveStock(products.map(({ productId }) => productId))
  if (error && !data) return <p role="alert">The shop cannot be reached. It will try again.</p>
  if (fetching && !data) return <p>One moment …</p>
  const { hasNextPage, endCursor } = data?.products?.pageInfo ?? {}
  return (
    <>
      <ul className="list">
        {products.map((product) => (
          <li key={product.id} data-product={product.productId}>
            <a href={`#/product/${encodeURIComponent(product.productId)}`}>{product.title ?? product.productId}</a>
            {product.stock && <StockLine stock={product.stock} />}
          </li>
        ))}
      </ul>
      {hasNextPage && endCursor && <a href={`#/list/${encodeURIComponent(endCursor)}`}>Next page</a>}
    </>
  )
}
