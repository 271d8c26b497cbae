/* What a server takes: processor time and memory of processes that are named by their ids, "12,13". */
#ifndef VITALS_H
#define VITALS_H
#include <string.h>
#include <unistd.h>

#include "measure.h"

static double server_cpu(const char *pids) {  /* seconds */
    double ticks = 0;
    for (const char *at = pids; at && *at; at += strcspn(at, ",") + (at[strcspn(at, ",")] == ',')) {
        char path[64], line[1024];
        snprintf(path, sizeof path, "/proc/%d/stat", atoi(at));
        FILE *file = fopen(path, "r");
        if (!file) continue;
        if (fgets(line, sizeof line, file)) {
            unsigned long user, system;
            if (sscanf(strrchr(line, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) == 2)
                ticks += (double)(user + system);
        }
        fclose(file);
    }
    return ticks / (double)sysconf(_SC_CLK_TCK);
}

static double server_kib(const char *pids) {  /* resident */
    double pages = 0;
    for (const char *at = pids; at && *at; at += strcspn(at, ",") + (at[strcspn(at, ",")] == ',')) {
        char path[64];
        unsigned long resident;
        snprintf(path, sizeof path, "/proc/%d/statm", atoi(at));
        FILE *file = fopen(path, "r");
        if (!file) continue;
        if (fscanf(file, "%*u %lu", &resident) == 1) pages += (double)resident;
        fclose(file);
    }
    return pages * (double)sysconf(_SC_PAGESIZE) / 1024;
}
#endif
