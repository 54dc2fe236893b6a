#!/bin/sh
set -e
python collect.py shards | python reduce.py
