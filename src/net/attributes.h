/* From a document to a descriptor struct. */
#ifndef LAMINA_NET_ATTRIBUTES_H
#define LAMINA_NET_ATTRIBUTES_H

#include "core/document.h"

/* Fills `descriptor`, all zero before, from `value`: NULL or null (nothing), a plain value or a list (the first
 * attribute), or a map of attributes. `axes`: for how many spatial axes one number counts; `also`: keys that the
 * caller reads itself, NULL-terminated, or NULL. Errors as document.h's. */
lamina_status lamina_node_attrs(const lamina_node *value, const lamina_attr_def *attrs, int axes,
                                const char *const *also, uint8_t *descriptor);

#endif
