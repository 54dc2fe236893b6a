FROM python:3.11-slim
RUN pip install --no-cache-dir --root-user-action=ignore numpy==1.25.2
WORKDIR /app
COPY *.py ./
