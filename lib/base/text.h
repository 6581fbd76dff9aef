/*
 * Text: "did you mean", UTF-8, and what came from outside, shown safely.
 */
#ifndef PLK_TEXT_H
#define PLK_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The known name nearest to what was typed. */
typedef struct plk_suggestion {
    const char *typed;
    const char *best; /* NULL: no name is near enough */
    size_t distance;
} plk_suggestion;

plk_suggestion plk_suggest(const char *typed);

/*
 * Offers a known name. The nearest one by edit distance is suggested, of equally near ones the
 * first; a swap of neighbours is one slip, '-' is '_', case does not count, and of a name cut short
 * ("temp") whatever is missing is one slip. Slips may be a third of the name's length, or one.
 * meaning is what to suggest when this name is the nearest; NULL: the name.
 */
void plk_suggest_offer(plk_suggestion *suggestion, const char *name, const char *meaning);

enum { PLK_SUGGESTION_BYTES = 96 };

/* "; did you mean 'top_p'?", or "" when no name is near. */
void plk_suggest_write(const plk_suggestion *suggestion, char text[PLK_SUGGESTION_BYTES]);

/* The bytes of the character at text[0] .. text[n - 1], n >= 1, and its number in *code_point; 0 if
 * no valid character starts there (over-long forms, surrogates and numbers above U+10FFFF are not
 * valid). */
size_t plk_utf8_decode(const char *text, size_t n, uint32_t *code_point);

/* Whether text[0] .. text[n - 1] is the start of a longer character that may be valid. */
bool plk_utf8_is_cut(const char *text, size_t n);

/* Whether text[0] .. text[n - 1] is word, in which letters are small. Capitals of text count as
 * small ones, whatever the locale is. */
bool plk_is_word(const char *text, size_t n, const char *word);

/* White space of JSON, and the bytes of the UTF-8 byte order mark with which a text begins, 3 or
 * 0. */
bool plk_is_space(uint8_t c);
size_t plk_mark_bytes(const void *text, size_t n);

/* The first byte after the byte order mark and white space; n if there is none. */
size_t plk_first_byte(const void *text, size_t n);

/* How text from outside (token texts, labels, names of files and tensors), which may be any bytes,
 * is shown so that a terminal, a spreadsheet or a browser only ever displays it. Escaped is what a
 * terminal may take for a command or changes the order of the text around it (C0, DEL, C1,
 * directional marks, line and paragraph separators), and what XML forbids. */
typedef enum plk_notation {
    PLK_PLAIN,  /* \n, \t, \r, \u{HEX}, \xHH for a byte that is not UTF-8; the rest as it is */
    PLK_QUOTED, /* the same between double quotes: \" and \\ too */
    PLK_CSV,    /* the same between the quotes of a CSV field: "" and \\ */
    PLK_SCREEN, /* running text: line breaks and tabs stay, \u{HEX}; U+FFFD for a byte not UTF-8 */
    PLK_JSON,   /* between the quotes of a JSON string: \n, \uHHHH; U+FFFD for a byte not UTF-8 */
    PLK_SCRIPT, /* the same inside of an HTML script element: < too */
    PLK_XML     /* text and attribute values of XML and HTML: &lt; and so on, otherwise PLK_PLAIN */
} plk_notation;

/* What stands for the first character of a text. */
typedef struct plk_shown {
    size_t n_read;    /* bytes of the text that it stands for, at least 1 */
    size_t n;         /* bytes of shown                                   */
    unsigned columns; /* that a terminal uses for it                      */
    char shown[13];   /* NUL-terminated                                   */
} plk_shown;

/* text[0] .. text[n - 1], n >= 1. */
plk_shown plk_show(plk_notation notation, const char *text, size_t n);

/* Writes a NUL-terminated text as one line in PLK_PLAIN; where capacity bytes (at least 32, the NUL
 * among them) are too few, an ellipsis stands for its middle, since messages begin with a name and
 * end with the reason. */
void plk_show_line(char *line, size_t capacity, const char *text);

#endif
