// What can be seen of the page, and how it differs from what is behind it: a list of
// {what, text, ratio}, where text says that it is to be read.
(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  function parse(color) { // any notation, as [r, g, b, alpha]
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = '#000';
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  }
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const linear = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  function contrast(a, b) {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  }
  // behind is the colour behind an element: its own background and those of its ancestors.
  function behind(node) {
    const layers = [];
    for (let n = node; n; n = n.parentElement) {
      const color = parse(getComputedStyle(n).backgroundColor);
      if (color[3] > 0) layers.push(color);
      if (color[3] === 1) break;
    }
    return layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255, 1]);
  }
  function seen(node) {
    if (!node.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: false })) return false;
    for (let n = node; n; n = n.parentElement) {
      const style = getComputedStyle(n);
      if (style.opacity === '0' || style.clipPath !== 'none') return false;
      if (style.opacity !== '1') throw new Error(`opacity of ${n.outerHTML.slice(0, 80)}: its contrast is not computed`);
    }
    return true;
  }
  const found = [];
  const tell = (node, what, text, color, ground) =>
    found.push({ what: `${node.tagName}.${node.getAttribute('class') || node.id}: ${what}`.slice(0, 120), text, ratio: contrast(over(parse(color), ground), ground) });

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (walker.currentNode.data.trim() && !node.closest('svg, noscript, script') && seen(node)) {
      tell(node, walker.currentNode.data.trim(), true, getComputedStyle(node).color, behind(node));
    }
  }
  for (const node of document.querySelectorAll('body *')) {
    if (!seen(node)) continue;
    const label = getComputedStyle(node, '::before');
    if (label.content !== 'none' && label.content !== 'normal') tell(node, label.content, true, label.color, behind(node));
    if (node.placeholder) tell(node, node.placeholder, true, getComputedStyle(node, '::placeholder').color, behind(node));
    const style = getComputedStyle(node);
    if (node.matches('button:not([aria-disabled]), input[type=search]')) tell(node, 'its border', false, style.borderTopColor, behind(node.parentElement));
    if (node.matches('path, line, rect, circle') && node.getBoundingClientRect) {
      // A shape may have an edge in the colour of its ground, to stand out from what it covers.
      const ground = behind(node.closest('svg').parentElement);
      const paints = [style.fill, style.stroke].filter((p, i) => p !== 'none' && !(node.tagName === 'line' && i === 0));
      if (node.tagName === 'path' && !node.getAttribute('d')) continue;
      const best = paints.sort((p, q) => contrast(over(parse(q), ground), ground) - contrast(over(parse(p), ground), ground))[0];
      if (best) tell(node, node.parentElement.textContent || 'a shape', false, best, ground);
      else found.push({ what: node.outerHTML.slice(0, 120), text: false, ratio: 1 });
    }
  }
  return found;
})()
