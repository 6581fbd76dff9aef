/* The self-test as a program: prints the message and ends with 1 if it fails. */
#include <pluck/base.h>

#include <stdio.h>

int main(void)
{
    pluck_error err;
    if (pluck_self_test(&err) == PLUCK_OK)
        return 0;
    puts(err.message);
    return 1;
}
