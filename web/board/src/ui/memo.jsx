// A component that is drawn again only when a property has changed.
import { Component } from 'preact';

const differ = (a, b) => {
  for (const name in a) if (a[name] !== b[name]) return true;
  for (const name in b) if (!(name in a)) return true;
  return false;
};

export const memo = (render) => class Memo extends Component {
  shouldComponentUpdate(next) { return differ(this.props, next); }

  render(props) { const Render = render; return <Render {...props} />; }
};
