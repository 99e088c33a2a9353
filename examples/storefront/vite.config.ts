import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

// The pages and both services have one origin, as behind a shop's proxy. Then no cross-origin
// request needs ALLOWED_ORIGINS.
const onhand = process.env.ONHAND_URL ?? 'http://127.0.0.1:8080'
const orders = process.env.ORDERS_URL ?? 'http://127.0.0.1:8090'
const origin = { target: onhand, changeOrigin: true, headers: { origin: onhand } }

export default defineConfig({
  plugins: [react()],
  server: { host: '127.0.0.1', proxy: { '/graphql': { ...origin, ws: true }, '/orders': orders } },
  preview: { host: '127.0.0.1', proxy: { '/graphql': { ...origin, ws: true }, '/orders': orders } },
})
