// SPDX-License-Identifier: MIT
/*
 * The look of our pictures and what they are written with. Pure but for streams.
 */
#include "svg.h"

#include <math.h>

void snpu_svg_put(FILE *f, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '<' || c == '>' || c == '&' || c == '"')
			fprintf(f, "&#%d;", c);
		else if (c >= 0xc2 && c < 0xf0 && ((unsigned char)s[1] & 0xc0) == 0x80 && (c < 0xe0 || ((unsigned char)s[2] & 0xc0) == 0x80) &&
			 !(c == 0xe0 && (unsigned char)s[1] < 0xa0) && !(c == 0xed && (unsigned char)s[1] > 0x9f) && !(c == 0xef && (unsigned char)s[1] == 0xbf)) {
			fwrite(s, 1, c < 0xe0 ? 2 : 3, f);
			s += c < 0xe0 ? 1 : 2;
		} else
			fputc(c < 0x20 || c >= 0x7f ? '?' : c, f);
	}
}

void snpu_svg_text(FILE *f, double x, double y, const char *anchor, const char *style, const char *text)
{
	fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">", x, y, anchor, style);
	snpu_svg_put(f, text);
	fputs("</text>\n", f);
}

double snpu_svg_tick(double range, unsigned int most)
{
	double raw = range / most, power = pow(10, floor(log10(raw > 0 ? raw : 1)));
	double m = raw / power;

	return power * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10);
}

void snpu_svg_begin(FILE *f, double width, double height, const char *title)
{
	fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\">\n<title>", width, height, width, height);
	snpu_svg_put(f, title);
	fputs("</title>\n<style>text{font:12px Inter,\"Helvetica Neue\",\"DejaVu Sans\",Arial,sans-serif;fill:" SNPU_SVG_INK "}.title{font-size:20px;font-weight:600}"
	      ".name{font-size:14px;font-weight:600}.small{fill:" SNPU_SVG_GREY "}.strong{font-weight:700}.line{stroke:" SNPU_SVG_LINE ";fill:none}</style>\n", f);
	fprintf(f, "<rect width=\"%.0f\" height=\"%.0f\" fill=\"#ffffff\"/>\n", width, height);
}

void snpu_svg_end(FILE *f)
{
	fputs("</svg>\n", f);
}
