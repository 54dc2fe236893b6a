FROM python:3.13-slim
COPY wheels /wheels
RUN pip install --no-cache-dir --root-user-action=ignore --no-index --find-links=/wheels tinylearn==0.4 columnscale==2.0 plotlite==5.1
WORKDIR /app
COPY *.py ./
