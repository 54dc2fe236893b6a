FROM python:3.13-slim
COPY wheels /wheels
RUN pip install --no-cache-dir --root-user-action=ignore --no-index --find-links=/wheels featstore==2.0 encoders==1.1 plotlite==5.1
WORKDIR /app
COPY *.py ./
