/* Learning rates as functions of the step. */
#include <math.h>

#include "net/trainer.h"

lamina_status lamina_rate_check(const lamina_rate *r) {
  if (r->kind < LAMINA_RATE_CONSTANT || r->kind > LAMINA_RATE_COSINE)
    return lamina_error(LAMINA_INVALID, "the learning rate is of kind %lld; expected a lamina_rate_kind",
                        (long long)r->kind);
  if (!(r->rate > 0) || !isfinite(r->rate))
    return lamina_error(LAMINA_INVALID, "the learning rate is %g; expected more than 0", r->rate);
  if (r->warmup < 0 || r->warmup > UINT32_MAX)
    return lamina_error(LAMINA_INVALID, "the warmup is %lld epochs; expected 0 to 2^32 - 1", (long long)r->warmup);
  if (r->kind == LAMINA_RATE_STEP && r->every < 1)
    return lamina_error(LAMINA_INVALID, "the rate falls every %lld epochs; expected at least 1", (long long)r->every);
  if (r->kind == LAMINA_RATE_STEP && !(r->factor >= 0))
    return lamina_error(LAMINA_INVALID, "the rate's factor is %g; expected 0 or more", r->factor);
  if (r->kind == LAMINA_RATE_COSINE && !(r->final >= 0))
    return lamina_error(LAMINA_INVALID, "the final rate is %g; expected 0 or more", r->final);
  return LAMINA_OK;
}

double lamina_rate_at(const lamina_rate *r, int64_t step, int64_t steps, int64_t steps_of_epoch) {
  const double pi = 3.14159265358979323846;
  const int64_t warmup = r->warmup * steps_of_epoch, epoch = step / steps_of_epoch;
  if (step < warmup) return r->rate * (double)(step + 1) / (double)warmup;
  if (r->kind == LAMINA_RATE_STEP) return r->rate * pow(r->factor == 0 ? 0.1 : r->factor, (double)(epoch / r->every));
  if (r->kind != LAMINA_RATE_COSINE) return r->rate;
  return r->final + (r->rate - r->final) * (1 + cos(pi * (double)(step - warmup) / (double)(steps - warmup))) / 2;
}
