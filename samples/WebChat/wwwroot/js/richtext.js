// The little Markdown that models write most: paragraphs, lists, headings, code, bold, italic, links.

import { el } from './dom.js';

const INLINE = /`([^`\n]+)`|\*\*([^*\n]+)\*\*|\*([^*\s][^*\n]*)\*|\[([^\]\n]+)\]\((https?:\/\/[^\s)]+)\)|(https?:\/\/[^\s<>"')\]]+[^\s<>"')\].,;:!?])/g;

export function richText(text) {
  const blocks = [];
  // Every other piece is what stood between two fences; an unclosed one reaches to the end.
  text.split(/^```.*$/m).forEach((piece, i) => {
    if (i % 2 === 1) blocks.push(el('pre', { tabindex: '0' }, el('code', {}, piece.replace(/^\n|\n$/g, ''))));
    else blocks.push(...piece.split(/\n{2,}/).filter(p => p.trim()).flatMap(block));
  });
  return blocks;
}

function block(text) {
  const lines = text.replace(/^\n+|\n+$/g, '').split('\n');
  const blocks = [];
  for (let i = 0; i < lines.length;) {
    const kind = kindOf(lines[i]);
    const run = [];
    while (i < lines.length && kindOf(lines[i]) === kind) run.push(lines[i++]);
    if (kind === 'ul' || kind === 'ol') blocks.push(el(kind, {}, ...run.map(line => el('li', {}, ...inline(line.replace(/^\s*(?:[-*•]|\d+[.)])\s+/, ''))))));
    else if (kind === 'h') blocks.push(...run.map(line => el('p', { class: 'heading' }, ...inline(line.replace(/^#{1,4}\s+/, '')))));
    else if (kind === 'quote') blocks.push(el('blockquote', {}, ...broken(run.map(line => line.replace(/^>\s?/, '')))));
    else blocks.push(el('p', {}, ...broken(run)));
  }
  return blocks;
}

function kindOf(line) {
  if (/^\s*[-*•]\s+\S/.test(line)) return 'ul';
  if (/^\s*\d+[.)]\s+\S/.test(line)) return 'ol';
  if (/^#{1,4}\s+\S/.test(line)) return 'h';
  if (/^>/.test(line)) return 'quote';
  return 'p';
}

const broken = lines => lines.flatMap((line, i) => i === 0 ? inline(line) : [el('br'), ...inline(line)]);

function inline(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    parts.push(text.slice(end, match.index));
    end = match.index + match[0].length;
    const [, code, bold, italic, label, href, bare] = match;
    if (code !== undefined) parts.push(el('code', {}, code));
    else if (bold !== undefined) parts.push(el('strong', {}, bold));
    else if (italic !== undefined) parts.push(el('em', {}, italic));
    else parts.push(el('a', { href: href ?? bare, target: '_blank', rel: 'noopener noreferrer' }, label ?? bare));
  }
  parts.push(text.slice(end));
  return parts.filter(p => p !== '');
}
