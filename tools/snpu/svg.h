/* SPDX-License-Identifier: MIT */
/* What our pictures share: their look, text and axes. */
#ifndef SNPU_TOOLS_SVG_H
#define SNPU_TOOLS_SVG_H

#include <stdio.h>

/* Colours. Text has the classes title, name, small and strong, thin lines the class line. */
#define SNPU_SVG_INK	"#1b2230"
#define SNPU_SVG_GREY	"#7a8494"
#define SNPU_SVG_LINE	"#e4e8ee"
#define SNPU_SVG_FRAME	"#c9d0da"

void snpu_svg_begin(FILE *f, double width, double height, const char *title);
void snpu_svg_end(FILE *f);

/* Names come from files: escaped, and anything that is not printable ASCII or plausible UTF-8 is replaced. */
void snpu_svg_put(FILE *f, const char *s);
void snpu_svg_text(FILE *f, double x, double y, const char *anchor, const char *style, const char *text);

/* 1, 2 or 5 times a power of ten, so that at most `most` marks cover the range. */
double snpu_svg_tick(double range, unsigned int most);

#endif
