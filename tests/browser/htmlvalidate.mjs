// All that html-validate recommends but for four rules of style, none of them a rule of HTML.
export default {
  root: true,
  extends: ["html-validate:recommended"],
  rules: {
    "attr-quotes": "off", // HTML lets a value of one word go without quotes: a kilobyte on each of thousands of pages
    "no-implicit-close": "off", // as it lets cells, rows and items go without their end tags
    "wcag/h63": "off", // and heads go without a scope, where every cell in a column or at the front of a row is one
    "no-inline-style": "off", // style attributes hold custom properties, the place of a picture in its sprite
  },
};
