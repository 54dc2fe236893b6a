FROM python:3.11-slim
RUN pip install --no-cache-dir --root-user-action=ignore numpy==2.2.6 packaging==25.0
WORKDIR /app
COPY *.py ./
