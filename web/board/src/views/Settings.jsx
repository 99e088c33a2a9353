// Language, theme and the token.
import { useState } from 'preact/hooks';
import { access } from '../api/access.js';
import { scopesOf, setToken, token } from '../api/token.js';
import { Choice, Dialog } from '../ui/parts.jsx';
import { setTheme, theme } from '../ui/theme.js';
import { language, languages, setLanguage, t } from '../words/words.js';

function SignIn() {
  const [text, setText] = useState('');
  const [keep, setKeep] = useState(false);
  if (access.value.open) return <p class="soft">{t('openMode')}</p>;
  if (token.value) {
    const scopes = [...scopesOf(token.value)];
    return (
      <>
        <p>{t('scopes')}: {scopes.length ? scopes.map((scope) => <code key={scope}>{scope} </code>) : t('nothing')}</p>
        <p class="buttons"><button type="button" onClick={() => setToken('')}>{t('signOut')}</button></p>
      </>
    );
  }
  const submit = (event) => {
    event.preventDefault();
    setToken(text.trim().replace(/^bearer\s+/i, ''), keep);
    setText('');
  };
  return (
    <form onSubmit={submit}>
      <label class="field"><span>{t('tokenLabel')}</span><input type="password" autocomplete="off" spellcheck={false} value={text} onInput={(event) => setText(event.currentTarget.value)} /></label>
      <label class="check"><input type="checkbox" checked={keep} onChange={(event) => setKeep(event.currentTarget.checked)} /> {t('tokenKeep')}</label>
      <p class="soft">{t('tokenHelp')}</p>
      <button type="submit" class="main">{t('tokenUse')}</button>
    </form>
  );
}

export function Settings() {
  const [open, setOpen] = useState(false);
  const needsToken = access.value.known && !access.value.open && !token.value;
  return (
    <>
      <button type="button" class="plain" onClick={() => setOpen(true)}>{needsToken ? t('signIn') : t('settings')}</button>
      {open && (
        <Dialog title={t('settings')} onClose={() => setOpen(false)}>
          <h3>{t('language')}</h3>
          <Choice label={t('language')} options={Object.entries(languages)} value={language.value} onChange={setLanguage} />
          <h3>{t('theme')}</h3>
          <Choice label={t('theme')} options={[['auto', t('themeAuto')], ['light', t('themeLight')], ['dark', t('themeDark')]]} value={theme.value} onChange={setTheme} />
          <h3>{t('signIn')}</h3>
          <SignIn />
          <p><a href="/playground">{t('playground')}</a></p>
        </Dialog>
      )}
    </>
  );
}
