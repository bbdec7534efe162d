// What the traced files of a sanitized build call where the program is not the fuzzer, which has its own.
void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void) {}
