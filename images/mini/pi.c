// A parallel program to try a cluster with: the integral of 4 / (1 + x^2) from 0 to 1, each rank one slice of it.
// Rank 0 prints the result and then every rank's host name, one line each, in order of rank.
//
// usage: mpiexec [-n RANKS] pi [STEPS]

#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    MPI_Init(&argc, &argv);
    int rank, size, length;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    double began = MPI_Wtime(), sum = 0, pi = 0;
    long steps = argc > 1 ? strtol(argv[1], NULL, 10) : 100000000L;
    if (steps < 1) {
        if (rank == 0) fprintf(stderr, "pi: STEPS must be 1 or more\n");
        MPI_Finalize();
        return 64;
    }
    for (long i = rank; i < steps; i += size) {
        double x = ((double)i + 0.5) / (double)steps;
        sum += 4.0 / (1.0 + x * x);
    }
    sum /= (double)steps;
    MPI_Reduce(&sum, &pi, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);

    char name[MPI_MAX_PROCESSOR_NAME] = "", *names = NULL;
    MPI_Get_processor_name(name, &length);
    if (rank == 0) names = malloc((size_t)size * sizeof name);
    MPI_Gather(name, sizeof name, MPI_CHAR, names, sizeof name, MPI_CHAR, 0, MPI_COMM_WORLD);
    if (rank == 0) {
        printf("pi = %.12f (off by %.1e), %ld steps on %d ranks in %.2f s\n", pi, fabs(pi - 3.14159265358979323846), steps, size,
               MPI_Wtime() - began);
        for (int i = 0; i < size; i++) printf("rank %d of %d on %s\n", i, size, names + (size_t)i * sizeof name);
        free(names);
    }
    MPI_Finalize();
    return 0;
}
