// Applies the chosen colours before the page is painted; a module would come too late.
'use strict';
try {
  const theme = localStorage.getItem('assistant-queue:theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden; the system's colours are fine then.
}
