import time


def count_hours(moments):
    counts = [0] * 24
    for moment in moments:
        hour = time.localtime(moment).tm_hour
        counts[hour] += 1
    return counts
