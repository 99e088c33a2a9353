// The query behind a view, to copy.
import { useState } from 'preact/hooks';
import { t } from '../words/words.js';
import { Dialog } from './parts.jsx';

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function toCurl({ query, variables, live }) {
  const body = JSON.stringify({ query, variables });
  const accept = live ? " \\\n  -N -H 'Accept: text/event-stream'" : '';
  return `curl -s ${location.origin}/graphql${accept} \\\n  -H 'Content-Type: application/json' \\\n  -d ${quote(body)}`;
}

function Copy({ text, children }) {
  const [said, say] = useState('');
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      say(t('copied'));
    } catch {
      say(t('copyFailed')); // plain http has no clipboard
    }
    setTimeout(() => say(''), 2000);
  };
  return <><button type="button" onClick={copy}>{children}</button><span class="said" role="status">{said}</span></>;
}

/** A button that opens the documents of a view: [{query, variables, live}], or a function that returns them. */
export function QueryButton({ documents }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" class="plain" onClick={() => setOpen(true)}>{t('query')}</button>
      {open && (
        <Dialog title={t('queryOf')} wide onClose={() => setOpen(false)}>
          {(typeof documents === 'function' ? documents() : documents).map((document) => (
            <section key={document.query} class="document">
              <pre tabIndex={0} aria-label={t('query')}><code>{document.query}</code></pre>
              <h3>{t('variables')}</h3>
              <pre tabIndex={0} aria-label={t('variables')}><code>{JSON.stringify(document.variables, null, 2)}</code></pre>
              <p class="buttons">
                <Copy text={document.query}>{t('copyQuery')}</Copy>
                <Copy text={toCurl(document)}>{t('copyCurl')}</Copy>
              </p>
            </section>
          ))}
          <p><a href="/playground">{t('playground')}</a></p>
        </Dialog>
      )}
    </>
  );
}
