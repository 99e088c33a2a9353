import { useEffect, useState } from 'react'
import { useMutation, useSubscription } from 'urql'
import { graphql } from './gql'
import type { ErrorCode } from './gql/graphql'

const Reserve = graphql(`
  mutation Reserve($input: ReserveStockInput!) {
    reserveStock(input: $input) {
      serverTime
      reservation { id version state expiresAt lines { id version productId quantity } }
      errors { message path code ... on InsufficientStockError { productId available } }
    }
  }
`)
const Update = graphql(`
  mutation Update($input: UpdateReservationInput!) {
    updateReservation(input: $input) {
      serverTime
      reservation { id version state expiresAt lines { id version productId quantity } }
      errors { message path code ... on InsufficientStockError { productId available } }
    }
  }
`)
const Extend = graphql(`
  mutation Extend($input: ExtendReservationInput!) {
    extendReservation(input: $input) {
      serverTime
      reservation { id version state expiresAt }
      errors { message path code }
    }
  }
`)
const Release = graphql(`
  mutation Release($input: ReleaseReservationInput!) {
    releaseReservation(input: $input) {
      reservation { id version state }
      errors { message path code }
    }
  }
`)
const Changed = graphql(`
  subscription Changed($id: ID!) {
    reservationChanged(id: $id) { id version state expiresAt orderRef lines { id version productId quantity } }
  }
`)

interface Refusal { code: ErrorCode; message: string; productId?: string; available?: number }
interface Line { productId: string; quantity: number }
interface Kept { id: string; lines: Line[]; expiresAt: string; clockOffset: number }

/** What a shopper reads when a cart is refused. */
export function refusalText({ code, message, available }: Refusal) {
  switch (code) {
    case 'INSUFFICIENT_STOCK': return available ? `Only ${available} left` : 'Sold out'
    case 'QUANTITY_LIMIT_EXCEEDED': return 'That is more than one customer may have'
    case 'TOO_MANY_RESERVATIONS': return 'Finish another cart first'
    case 'TOO_MANY_UNITS': case 'SHARE_TOO_LARGE': return 'We cannot keep so many for one customer: take fewer'
    case 'RESERVATION_NOT_ACTIVE': return "Your cart's time is over"
    case 'TOO_MANY_EXTENSIONS': case 'RESERVED_TOO_LONG': return 'We cannot keep the cart any longer'
  }
  return message
}

export interface Cart {
  kept?: Kept
  busy: boolean
  message: string
  ordered?: string
  add(productId: string, quantity: number): Promise<void>
  extend(): Promise<void>
  release(): Promise<void>
  order(): Promise<void>
}

const storage = 'cart'
const cartTtlSeconds = 300

/** The reservation of this browser tab. Its id is the permission to use it: it stays in the session's storage. */
export function useCart(): Cart {
  const [kept, setKept] = useState<Kept | undefined>(() => {
    const text = sessionStorage.getItem(storage)
    return text ? (JSON.parse(text) as Kept) : undefined
  })
  const [message, setMessage] = useState('')
  const [busy, setBusy] = useState(false)
  const [ordered, setOrdered] = useState<string>()
  const [, reserve] = useMutation(Reserve)
  const [, update] = useMutation(Update)
  const [, extendBy] = useMutation(Extend)
  const [, releaseBy] = useMutation(Release)

  useEffect(() => {
    if (kept) sessionStorage.setItem(storage, JSON.stringify(kept))
    else sessionStorage.removeItem(storage)
  }, [kept])

  // Another tab, an order service or the expiry changes the reservation too.
  useSubscription({ query: Changed, variables: { id: kept?.id ?? '' }, pause: !kept }, (_before, event) => {
    const now = event.reservationChanged
    if (now.state === 'ACTIVE') {
      setKept((cart) => cart && { ...cart, expiresAt: now.expiresAt, lines: now.lines.map(({ productId, quantity }) => ({ productId, quantity })) })
    } else {
      setKept(undefined)
      if (now.state === 'EXPIRED') setMessage("Your cart's time is over. Its units can be bought by others.")
      if (now.state === 'COMMITTED') setOrdered(now.orderRef ?? '')
    }
    return event
  })

  const during = async (work: () => Promise<void>) => {
    setBusy(true)
    setMessage('')
    setOrdered(undefined)
    try {
      await work()
    } finally {
      setBusy(false)
    }
  }
  type Answer = { serverTime?: string | null; reservation?: { id: string; expiresAt: string; lines?: Line[] } | null; errors: Refusal[] }
  const take = (answer: Answer | null | undefined, fault: unknown) => {
    if (!answer) return setMessage(fault ? 'The shop cannot be reached. Try again.' : '')
    if (answer.errors[0]) setMessage(refusalText(answer.errors[0]))
    const r = answer.reservation
    if (r && answer.serverTime) {
      const clockOffset = Date.parse(answer.serverTime) - Date.now()
      setKept((cart) => ({ id: r.id, expiresAt: r.expiresAt, clockOffset, lines: r.lines?.map(({ productId, quantity }) => ({ productId, quantity })) ?? cart?.lines ?? [] }))
    }
  }

  return {
    kept, busy, message, ordered,
    add: (productId, quantity) => during(async () => {
      const lines = [...(kept?.lines ?? []).filter((line) => line.productId !== productId)]
      const before = kept?.lines.find((line) => line.productId === productId)?.quantity ?? 0
      lines.push({ productId, quantity: before + quantity })
      // One key for this decision of the shopper. urql and the browser may repeat the request.
      const idempotencyKey = crypto.randomUUID()
      if (kept) {
        const { data, error } = await update({ input: { idempotencyKey, id: kept.id, lines } })
        take(data?.updateReservation as Answer | undefined, error)
      } else {
        const { data, error } = await reserve({ input: { idempotencyKey, lines, ttlSeconds: cartTtlSeconds, ownerRef: 'storefront' } })
        take(data?.reserveStock as Answer | undefined, error)
      }
    }),
    extend: () => during(async () => {
      if (!kept) return
      const { data, error } = await extendBy({ input: { id: kept.id, ttlSeconds: cartTtlSeconds } })
      take(data?.extendReservation as Answer | undefined, error)
    }),
    release: () => during(async () => {
      if (!kept) return
      const { error } = await releaseBy({ input: { id: kept.id } })
      if (error) setMessage('The shop cannot be reached. Try again.')
      else setKept(undefined)
    }),
    // The order service places the order: it has the scope for that, and an outbox.
    order: () => during(async () => {
      if (!kept) return
      const ref = `web-${kept.id.slice(-8)}`
      const answer = await fetch(`/orders/${ref}`, { method: 'PUT', body: JSON.stringify({ reservationId: kept.id }) }).catch(() => undefined)
      if (!answer?.ok) setMessage('The order cannot be placed now. Your cart is kept. Try again.')
    }),
  }
}

/** Seconds until a time of the server's clock. */
function useCountdown(expiresAt: string, clockOffset: number) {
  const left = () => Math.max(0, Math.ceil((Date.parse(expiresAt) - clockOffset - Date.now()) / 1000))
  const [seconds, setSeconds] = useState(left)
  useEffect(() => {
    const tick = () => setSeconds(left())
    tick()
    const timer = setInterval(tick, 250)
    return () => clearInterval(timer)
  })
  return seconds
}

const Countdown = ({ kept }: { kept: Kept }) => {
  const seconds = useCountdown(kept.expiresAt, kept.clockOffset)
  return <p className="countdown">Kept for you: <time>{Math.floor(seconds / 60)}:{String(seconds % 60).padStart(2, '0')}</time></p>
}

export function CartPanel({ cart }: { cart: Cart }) {
  return (
    <aside aria-label="Cart">
      <h2>Cart</h2>
      {cart.kept ? (
        <>
          <ul>{cart.kept.lines.map((line) => <li key={line.productId}>{line.quantity} × {line.productId}</li>)}</ul>
          <Countdown kept={cart.kept} />
          <button disabled={cart.busy} onClick={() => void cart.order()}>Order</button>{' '}
          <button disabled={cart.busy} onClick={() => void cart.extend()}>More time</button>{' '}
          <button disabled={cart.busy} onClick={() => void cart.release()}>Empty the cart</button>
        </>
      ) : <p>Nothing in it.</p>}
      {cart.ordered !== undefined && <p role="status">Thank you. Your order is {cart.ordered}.</p>}
      {cart.message && <p role="alert">{cart.message}</p>}
    </aside>
  )
}
