FROM python:3.13-slim
COPY wheels /wheels
RUN pip install --no-cache-dir --root-user-action=ignore --no-index --find-links=/wheels reportkit==3.1
WORKDIR /app
COPY train.py before/settings.json ./
