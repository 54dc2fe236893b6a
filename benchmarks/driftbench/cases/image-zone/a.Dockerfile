FROM python:3.13-slim
ENV TZ=UTC LOG_LEVEL=info
WORKDIR /app
COPY *.py ./
