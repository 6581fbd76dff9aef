/*
 * The sigmoid of an inner node and its logarithms, without cancellation on either side.
 */
#ifndef PL_LOG_SIGMOID_H
#define PL_LOG_SIGMOID_H

/* ln(1 + y) for y in [0, 1], a few ulps. */
double pl_log1p(double y);

typedef struct pl_log_sigmoid {
    double positive; /* ln sigmoid(x)  */
    double negative; /* ln sigmoid(-x) */
} pl_log_sigmoid;

/* x may be infinite, not NaN. */
pl_log_sigmoid pl_log_sigmoid_of(double x);

/* 1 / (1 + exp(-x)). */
double pl_sigmoid(double x);

/* ln(exp(a) + exp(b)); either may be -inf, neither +inf. */
double pl_log_add(double a, double b);

#endif
