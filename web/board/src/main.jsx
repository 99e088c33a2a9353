import { render } from 'preact';
import { effect } from '@preact/signals';
import { App } from './App.jsx';
import { askAccess } from './api/access.js';
import { connect, connection } from './api/socket.js';
import { token } from './api/token.js';
import { followCart } from './cart/cart.js';
import { followLane } from './stock/lane.js';
import { followLines } from './stock/sparklines.js';
import { keepFocus } from './ui/focus.js';
import { followTheme } from './ui/theme.js';
import './styles/base.css';
import './styles/list.css';
import './styles/panels.css';
import './styles/product.css';

followTheme();
effect(() => {
  token.value; // eslint-disable-line no-unused-expressions -- another token is another caller
  connect();
});
effect(() => {
  connection.value; // eslint-disable-line no-unused-expressions -- the server may have been started with other settings
  askAccess();
});
followLane();
followLines();
followCart();
keepFocus();
render(<App />, document.getElementById('board'));
