import { StrictMode, useEffect, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { Provider } from 'urql'
import { CartPanel, useCart } from './cart'
import { client } from './client'
import { ListPage } from './list'
import { ProductPage } from './product'
import { useConnection } from './stock'

/** The page that the URL names: #/list, #/list/CURSOR or #/product/ID. */
function usePage() {
  const [hash, setHash] = useState(location.hash)
  useEffect(() => {
    const change = () => setHash(location.hash)
    addEventListener('hashchange', change)
    return () => removeEventListener('hashchange', change)
  }, [])
  const [, name = 'list', argument] = hash.split('/')
  return { name, argument: argument ? decodeURIComponent(argument) : undefined }
}

function Shop() {
  const { name, argument } = usePage()
  const cart = useCart()
  const live = useConnection()
  return (
    <>
      <header>
        <a href="#/list">Shop</a>
        <span className={live ? 'live' : 'stale'} role="status">{live ? 'Live' : 'Connecting'}</span>
      </header>
      <main>{name === 'product' && argument ? <ProductPage key={argument} id={argument} cart={cart} /> : <ListPage after={argument} />}</main>
      <CartPanel cart={cart} />
    </>
  )
}

createRoot(document.getElementById('shop') as HTMLElement).render(
  <StrictMode>
    <Provider value={client}><Shop /></Provider>
  </StrictMode>,
)
