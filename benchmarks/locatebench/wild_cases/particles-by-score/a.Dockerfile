FROM python:3.11-slim
RUN pip install --no-cache-dir --root-user-action=ignore numpy==1.24.4
WORKDIR /app
COPY *.py ./
