FROM python:3.13-slim
ENV TZ=Asia/Tokyo LOG_LEVEL=debug
WORKDIR /app
COPY *.py ./
