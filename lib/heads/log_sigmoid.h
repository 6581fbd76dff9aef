/*
 * The sigmoid of an inner node and its logarithms, without cancellation on either side.
 */
#ifndef PLK_LOG_SIGMOID_H
#define PLK_LOG_SIGMOID_H

/* ln(1 + y) for y in [0, 1], a few ulps. */
double plk_log1p(double y);

typedef struct plk_log_sigmoid {
    double positive; /* ln sigmoid(x)  */
    double negative; /* ln sigmoid(-x) */
} plk_log_sigmoid;

/* x may be infinite, not NaN. */
plk_log_sigmoid plk_log_sigmoid_of(double x);

/* 1 / (1 + exp(-x)). */
double plk_sigmoid(double x);

/* ln(exp(a) + exp(b)); either may be -inf, neither +inf. */
double plk_log_add(double a, double b);

#endif
