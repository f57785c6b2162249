#include <oniguruma.h>

// The library offers these as macros and mutable globals, which Swift does not import.
static inline OnigEncoding oniguruma_utf8(void) { return ONIG_ENCODING_UTF8; }
static inline OnigSyntaxType *oniguruma_default_syntax(void) { return OnigDefaultSyntax; }
static inline int oniguruma_message(char *text, int code, OnigErrorInfo *details) {
  return onig_error_code_to_str((UChar *)text, code, details);
}
