/* Status codes and the sentence behind them.
 *
 * Every call that can fail returns a lamina_status. The library never prints, exits or aborts; the reason for the
 * last failure on this thread is lamina_last_error(), a sentence that a person can act on. */
#ifndef LAMINA_STATUS_H
#define LAMINA_STATUS_H

#if defined(__GNUC__)
/** Marks what the library exports. */
#define LAMINA_API __attribute__((visibility("default")))
/** Marks a call whose status must be looked at. */
#define LAMINA_NODISCARD __attribute__((warn_unused_result))
#else
#define LAMINA_API
#define LAMINA_NODISCARD
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** X(name, meaning): every status code, in order. */
#define LAMINA_STATUS_MAP(X)                                                                                           \
  X(OK, "success")                                                                                                     \
  X(INVALID, "an argument does not fit")                                                                               \
  X(UNSUPPORTED, "no engine can do this")                                                                              \
  X(OUT_OF_MEMORY, "out of memory")                                                                                    \
  X(IO, "reading or writing failed")                                                                                   \
  X(CORRUPT, "the data is damaged or not of this format")                                                              \
  X(DEVICE, "the device failed")                                                                                       \
  X(MISMATCH, "a result disagrees with the oracle")                                                                    \
  X(NOT_FINITE, "a value is NaN or infinite")                                                                          \
  X(INTERRUPTED, "stopped on request")                                                                                 \
  X(INTERNAL, "an error in Lamina itself")

/** What became of a call; 0 is success. */
typedef enum lamina_status {
#define X(name, meaning) LAMINA_##name,
  LAMINA_STATUS_MAP(X)
#undef X
} lamina_status;

/** "INVALID" for LAMINA_INVALID and so on; "?" for a number that is no status. */
LAMINA_API const char *lamina_status_name(lamina_status status);

/** What the status means, in a few words. */
LAMINA_API const char *lamina_status_meaning(lamina_status status);

/** The sentence of the last failed call on this thread; "" before the first. Valid until the next failure here. */
LAMINA_API const char *lamina_last_error(void);

#ifdef __cplusplus
}
#endif
#endif
