FROM python:3.13-slim
RUN pip install --no-cache-dir --root-user-action=ignore numpy==2.3.3
WORKDIR /app
COPY *.py ./
